"""What stands around every page, and the pages that are none.

Owns head, the other islands, menu, footer; the login, challenge and error pages. Must not know
papers.
"""

from __future__ import annotations

from html import escape

FOOT = (
    b'<footer><a href="/models">Models</a> <a href="/docs">Docs</a>'
    b'<div class="SVELTE_HYDRATER contents" data-target="ThemeSwitcher" data-props="'
    b'{&quot;theme&quot;:&quot;system&quot;}"></div></footer></main></div></body>\n</html>\n'
)


def head(title: str, address: str, *, request_id: str) -> bytes:
    """From the beginning to the opening of the body."""
    return (
        '<!doctype html>\n<html class="">\n\t<head>\n\t\t<meta charset="utf-8" />\n'
        '\t\t<meta name="viewport" content="width=device-width, initial-scale=1.0" />\n'
        '\t\t<meta name="description" content="Invented papers, every day" />\n'
        f'\t\t<meta property="og:title" content="{escape(title)}" />\n'
        f'\t\t<meta property="og:url" content="https://huggingface.co{address}" />\n'
        f'\t\t<link rel="canonical" href="https://huggingface.co{address}" />\n'
        '\t\t<link rel="stylesheet" href="/front/build/demo/style.css" />\n'
        f"\t\t<title>{escape(title)} - Hugging Face</title>\n"
        f'\t\t<script>window.requestId = "{request_id}";</script>\n'
        '\t</head>\n\t<body class="flex flex-col min-h-dvh bg-white text-black DailyPapersPage">\n'
    ).encode()


def header(entries: int) -> bytes:
    """The islands that come before the one that counts, and a menu of realistic length."""
    menu = "".join(
        '<li class="hover:text-indigo-700"><a class="group flex items-center px-2 py-0.5 '
        f'dark:text-gray-300 dark:hover:text-gray-100" href="/section-{n}">'
        f'<!--[0--><span class="mr-1.5 text-gray-400">Section {n}</span><!--]--></a></li>'
        for n in range(entries)
    )
    banner = (
        '<p class="hidden sm:inline">Get trending papers in your email inbox once a day!</p> '
        '<p class="inline sm:hidden">Get trending papers in your email inbox!</p> '
        '<a href="/login?next=%2Fpapers" class="btn">Subscribe</a>'
    )
    return (
        '\t\t<!--[--><div class="flex min-h-dvh flex-col">'
        + _empty_island("ClientErrorCatcher")
        + _empty_island("DeviceProvider")
        + _empty_island("SystemThemeMonitor", '{"isLoggedIn":false}')
        + _empty_island(
            "MainHeader",
            '{"classNames":"","isWide":false,"isZh":false,"isPro":false}',
            f'<header class="border-b border-gray-100"><nav><ul>{menu}</ul></nav></header>',
        )
        + _empty_island("SSOBanner")
        + '<main class="flex flex-1 flex-col"><!--[0-->'
        + _empty_island("DailyPapersBannerSubscribe", '{"isLoggedIn":false}', banner)
        + "<!--]--> "
    ).encode()


def _empty_island(target: str, props: str = "{}", body: str = "<!---->") -> str:
    quoted = props.replace('"', "&quot;")
    return (
        f'<div class="SVELTE_HYDRATER contents" data-target="{target}" data-props="{quoted}">'
        f"{body}</div> "
    )


def login_page() -> bytes:
    """What a site shows that wants you to log in first."""
    return (
        b'<!doctype html><html><head><meta charset="utf-8"/><title>Log In</title></head><body>'
        b'<main><h1>Log In</h1><form action="/login" method="post"><label>Username or Email '
        b'<input name="username"/></label><label>Password <input type="password" name="password"/>'
        b"</label><button>Login</button></form></main></body></html>"
    )


def challenge_page() -> bytes:
    """What a firewall in front of the site shows to clients it doubts."""
    return (
        b'<!doctype html><html><head><meta charset="utf-8"/><title></title>'
        b'<script src="https://0123456789ab.edge.sdk.awswaf.com/0123456789ab/challenge.js">'
        b"</script></head><body><div id='challenge-container'></div><script>"
        b"AwsWafIntegration.saveReferrer();AwsWafIntegration.checkForceRefresh();</script>"
        b"<noscript><h1>JavaScript is disabled</h1>In order to continue, please turn it on."
        b"</noscript></body></html>"
    )


def error_page(status: int, words: str) -> bytes:
    """The site's own error page."""
    return (
        f'<!doctype html><html><head><meta charset="utf-8"/><title>{status}</title></head>'
        f"<body><main><h1>{status}</h1><p>{escape(words)}</p></main></body></html>"
    ).encode()
