"""The mail in a real browser: it fits a phone, can be read, and asks for nothing.

``python -m tests.browser.test_mail_browser`` takes the screenshots of docs/mail.md anew.
"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.chromium import LAUNCH, MARKS, SCREENSHOTS
from tests.makers import digest_of, event, message, paper
from watcher.render import render
from watcher.sample import sample_message, sample_views
from watcher.view import View, view_of

pytestmark = MARKS

# Every text's colour against the nearest background under it, by the formula of WCAG 2.
CONTRASTS = """
() => {
  const light = (c) => {
    const [r, g, b] = c.match(/[\\d.]+/g).map(Number).slice(0, 3).map((v) => {
      v /= 255;
      return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walk.nextNode()); ) {
    const element = node.parentElement;
    if (!node.textContent.trim() || !element.checkVisibility()) continue;
    let under = element;
    while (getComputedStyle(under).backgroundColor === "rgba(0, 0, 0, 0)") {
      under = under.parentElement;
    }
    const pair = [getComputedStyle(element).color, getComputedStyle(under).backgroundColor]
      .map(light)
      .sort((a, b) => b - a);
    found.push([(pair[0] + 0.05) / (pair[1] + 0.05), node.textContent.trim()]);
  }
  return found;
}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(**LAUNCH)
        yield started
        started.close()


def open_mail(browser: Browser, view: View, *, width: int, scheme: str) -> tuple[Page, list[str]]:
    """A page that shows the mail, and whatever it asked a server for."""
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.set_content(render(view).html)
    return page, asked


def hostile_view() -> View:
    long = "Über" + "unbreakable" * 30
    told = [
        event(1, paper=paper(1, title=long, organization=long, authors=(long,)), reason=long),
        event(2, rule=long),
    ]
    return view_of(message(digest_of(*told, votes={1: tuple(range(40))}, instant=True)))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_every_mail_fits_the_screen_and_can_be_read(browser, width, scheme):
    page, asked = open_mail(browser, hostile_view(), width=width, scheme=scheme)
    for view in (hostile_view(), *sample_views()):
        page.set_content(render(view).html)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        contrasts = page.evaluate(CONTRASTS)
        assert contrasts
        assert [pair for pair in contrasts if pair[0] < 4.5] == []
    assert asked == []
    page.close()


def test_the_dark_mail_is_dark_and_the_light_one_light(browser):
    found = {}
    for scheme in ("light", "dark"):
        page, _ = open_mail(browser, view_of(sample_message()), width=400, scheme=scheme)
        found[scheme] = page.evaluate(
            "getComputedStyle(document.querySelector('.page')).backgroundColor"
        )
        page.close()
    assert found == {"light": "rgb(255, 255, 255)", "dark": "rgb(25, 28, 31)"}


def test_hostile_words_run_nothing(browser):
    hostile = "<img src=x onerror=document.title='run'><script>document.title='run'</script>"
    view = view_of(message(digest_of(event(1, paper=paper(1, title=hostile), reason=hostile))))
    page, asked = open_mail(browser, view, width=400, scheme="light")
    assert page.title() != "run"
    assert asked == []
    assert hostile in page.inner_text("h3")
    page.close()


def test_the_screenshots_of_the_documentation_are_small():
    files = sorted(SCREENSHOTS.glob("mail-*.png"))
    assert len(files) == 4
    assert all(file.stat().st_size < 150_000 for file in files)


def take_screenshots() -> None:
    """Write docs/screenshots/mail-*.png, as far down as a first glance goes."""
    SCREENSHOTS.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(**LAUNCH)
        for name, width in (("phone", 390), ("desktop", 900)):
            for scheme in ("light", "dark"):
                page, _ = open_mail(started, view_of(sample_message()), width=width, scheme=scheme)
                path = SCREENSHOTS / f"mail-{name}-{scheme}.png"
                clip = {"x": 0, "y": 0, "width": width, "height": 1240}
                page.screenshot(path=path, full_page=True, clip=clip)
                page.close()
        started.close()


if __name__ == "__main__":
    take_screenshots()
