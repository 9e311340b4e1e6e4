"""A site whose clock runs sixty times as fast, and a mail server with STARTTLS, on loopback."""

import asyncio
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

from tests.smtp_server import smtp_server
from watcher.demo.site import Site, serve
from watcher.demo.world import World

SITE, MAIL = 8000, 2525
TAKEN = Path("/var/tmp/mails")
"""How many mails were taken, and with which passwords."""


async def main() -> None:
    day, began = datetime.now(UTC).date(), datetime.now(UTC)
    morning = datetime.combine(day, time(9), UTC)

    def now() -> datetime:
        return morning + (datetime.now(UTC) - began) * 60

    site = Site(World(5, day - timedelta(days=2), 6))
    async with await serve(site, now, port=SITE), smtp_server(port=MAIL) as mail:
        while True:
            TAKEN.write_text(f"{len(mail.mails)} {sorted({p for _, p in mail.logins})}\n")
            await asyncio.sleep(1)


if __name__ == "__main__":
    asyncio.run(main())
