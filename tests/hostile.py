"""Words as the open web may send them: a hundred titles that must be shown and do nothing."""

MARK = "hostile"
"""Is in every title, in letters that no cleaning touches."""

_SCRIPTS = [
    "<script>window.hacked=1</script>",
    "<img src=x onerror=window.hacked=1>",
    "<svg onload=window.hacked=1>",
    "</title><script>window.hacked=1</script>",
    "</textarea><script>window.hacked=1</script>",
    "'><script>window.hacked=1</script>",
    '"><script>window.hacked=1</script>',
    '" onmouseover="window.hacked=1',
    "' onfocus='window.hacked=1' autofocus='",
    "<a href=javascript:window.hacked=1>x</a>",
    "<iframe srcdoc='<script>parent.hacked=1</script>'>",
    "<math><mtext></mtext><script>window.hacked=1</script></math>",
    "<style>*{display:none}</style>",
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "<!--<script>window.hacked=1//-->",
    "--><script>window.hacked=1</script>",
    "]]><script>window.hacked=1</script>",
    "<![CDATA[<script>window.hacked=1</script>]]>",
    "{{ 7*7 }}{% raw %}",
    "{{ config }}${7*7}#{7*7}",
    "<%= 7*7 %>",
    "&lt;script&gt;window.hacked=1&lt;/script&gt;",
    "&#60;script&#62;window.hacked=1&#60;/script&#62;",
    "\\u003cscript\\u003ewindow.hacked=1\\u003c/script\\u003e",
]
_ODD = [
    "\x00nul", "\x01soh", "\x08bell\x07", "\x0bvt", "\x0cff", "\x1b[31mred\x1b[0m", "\x7fdel",
    "\x85nel", "\u2028line", "\u2029paragraph", "\u202eright to left", "\u2066isolate\u2069",
    "\u200bzero width", "\ufeffbom", "\ufffe", "\uffff", "\U0001ffff", "\ufffdlone", "\u061c",
    "\x1cfs\x1dgs", "a\r\nBcc: x@example.org", "a\nb\tc", "\x9b31m", "\ue000private",
    "e\u0301" * 50,
]  # fmt: skip
_LONG = ["word " * 2000, "x" * 10_000, "\U0001f9a9" * 500, "ﷺ" * 300, "Z̷͛" * 300]

TITLES: tuple[str, ...] = tuple(
    f"{MARK} {n} {words}"
    for n, words in enumerate(
        [
            *_SCRIPTS,
            *_ODD,
            *_LONG,
            *(f"{odd}{script}" for odd, script in zip(_ODD, _SCRIPTS, strict=True)),
            *(f"{script}{script}" for script in _SCRIPTS[:20]),
        ]
    )
)
