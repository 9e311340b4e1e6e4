// Niceties: times in the reader's zone, a guess of the zone, forms that follow a choice.
// Everything works without this file.
"use strict";

(() => {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  const now = new Date();

  const format = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...options });
  const clock = format({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const day = format({ weekday: "short", day: "numeric", month: "short" });
  const dayOfYear = format({ weekday: "short", day: "numeric", month: "short", year: "numeric" });

  function words(at) {
    const form = at.getFullYear() === now.getFullYear() ? day : dayOfYear;
    return `${form.format(at).replace(",", "")}, ${clock.format(at)}`;
  }

  function distance(at) {
    const seconds = (Date.now() - at) / 1000;
    const size = Math.abs(seconds);
    if (size < 1) return "now";
    let text = `${Math.floor(size)} s`;
    for (const [unit, name] of [[86400, "days"], [3600, "h"], [60, "min"]]) {
      if (size >= 2 * unit || (name !== "days" && size >= unit)) {
        text = `${Math.floor(size / unit)} ${name}`;
        break;
      }
    }
    return seconds > 0 ? `${text} ago` : `in ${text}`;
  }

  function showTimes() {
    for (const time of document.querySelectorAll("time[data-at]")) {
      time.textContent = words(new Date(time.dateTime));
    }
    for (const time of document.querySelectorAll("time[data-ago]")) {
      time.title = words(new Date(time.dateTime));
    }
    for (const name of document.querySelectorAll("[data-zone]")) name.textContent = zone;
  }

  function keepAges() {
    for (const time of document.querySelectorAll("time[data-ago]")) {
      time.textContent = distance(new Date(time.dateTime));
    }
  }

  function guessZone() {
    for (const select of document.querySelectorAll("select[data-guess]")) {
      for (const option of select.options) if (option.text === zone) option.selected = true;
    }
  }

  function followChoices() {
    const radios = document.querySelectorAll("input[name=frequency]");
    const show = () => {
      const chosen = document.querySelector("input[name=frequency]:checked");
      for (const field of document.querySelectorAll("[data-for]")) {
        field.hidden = chosen !== null && !field.dataset.for.split(" ").includes(chosen.value);
      }
    };
    for (const radio of radios) radio.addEventListener("change", show);
    if (radios.length) show();
  }

  function searchByKey() {
    document.addEventListener("keydown", (event) => {
      const typing = event.target.closest("input, textarea, select");
      if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      const box = document.getElementById("q");
      const link = document.querySelector('nav a[href="/search"]');
      if (!box && !link) return;
      event.preventDefault();
      if (box) box.select();
      else link.click();
    });
  }

  showTimes();
  guessZone();
  followChoices();
  searchByKey();
  setInterval(keepAges, 30000);
})();
