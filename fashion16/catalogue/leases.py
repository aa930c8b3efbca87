"""What somebody looks at now is not offered to the next person."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from fashion16.catalogue import wording
from fashion16.catalogue.database import Database
from fashion16.catalogue.history import stamp
from fashion16.catalogue.tables import in_chunks, leases

SECONDS = 120


class Leases(Database):
    """Who looks at which items of one collection."""

    def lease(self, ids: Iterable[int], who: str, seconds: float = SECONDS) -> set[int]:
        """Take these items to look at for a time, again from now on where they were taken already.

        Returns those that the person has now: of two who ask at once for the same item, one gets it.
        """
        who = wording.who(who)
        wanted = {int(item_id) for item_id in ids}
        now = _now()
        until = stamp(now + timedelta(seconds=seconds))
        with self.writing() as connection:
            connection.execute(leases.delete().where(leases.c.until <= stamp(now)))
            others = set(connection.scalars(sa.select(leases.c.item_id).where(leases.c.who != who)))
            free = sorted(wanted - others)
            for some in in_chunks(free):
                connection.execute(leases.delete().where(leases.c.item_id.in_(some)))
                rows = [{"item_id": item_id, "who": who, "until": until} for item_id in some]
                connection.execute(leases.insert(), rows)
        return set(free)


def _now() -> datetime:
    return datetime.now(UTC)
