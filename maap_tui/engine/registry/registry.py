"""The registry of all baselines below one folder, and the lock of a sync."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from maap_tui.engine.errors import RegistryError, UnreadableError
from maap_tui.engine.missions import earthcare
from maap_tui.engine.registry.baseline import BaselineRegistry
from maap_tui.engine.registry.counts import StatsCache
from maap_tui.engine.registry.deletions import Deletions
from maap_tui.engine.registry.entries import TREES, Added, Key, TrackedFile
from maap_tui.engine.registry.searched import SearchedDays
from maap_tui.engine.registry.tree import LOCKS, folder_names, lock_file, locked
from maap_tui.engine.storage import files

if TYPE_CHECKING:
    from maap_tui.engine.config.dirs import AppDirs
    from maap_tui.engine.events import Emit, RegistryDamaged


class Registry:
    """All baselines below one registry folder; every method may be called from any thread.

    Args:
        root: The registry folder.
        cache: Where counts are kept between processes; None keeps them in memory only.
        deletions: The lists of files that clean-ups deleted; None keeps no lists.
        searched: Which days whole searches looked at; None keeps no lists.
        lock_timeout_s: Longest wait for another writer, in seconds.
        on_wait: Called with a sentence about a writer that is waited for longer than `events.LONG_WAIT_S`.
        emit: Takes one event for each file and folder that cannot be read whole, once as long as it stays so.
    """

    def __init__(
        self,
        root: Path,
        cache: StatsCache | None = None,
        deletions: Deletions | None = None,
        searched: SearchedDays | None = None,
        lock_timeout_s: float = 30.0,
        on_wait: Callable[[str], None] | None = None,
        emit: Emit = lambda event: None,
    ) -> None:
        self.root = root
        self.cache = cache
        self.deletions = deletions
        self.searched = searched
        self.lock_timeout_s = lock_timeout_s
        self.on_wait = on_wait
        self.emit = emit
        self._baselines: dict[Key, BaselineRegistry] = {}
        self._hidden: dict[Path, RegistryDamaged] = {}

    def baseline(self, key: Key) -> BaselineRegistry:
        """Return the registry of one baseline, the same object each time; nothing is created on disk."""
        if (known := self._baselines.get(key)) is not None:
            return known
        fresh = BaselineRegistry(
            self.root,
            key,
            cache=self.cache,
            deletions=self.deletions,
            searched=self.searched,
            lock_timeout_s=self.lock_timeout_s,
            on_wait=self.on_wait,
            emit=self.emit,
        )
        return self._baselines.setdefault(key, fresh)

    def keys_of(self, collection: str, product_type: str, baseline: str | None, mission: str) -> list[Key]:
        """The baselines of a product that are tracked; one of that name for a baseline given.

        Args:
            collection: collection id.
            product_type: product type.
            baseline: baseline in any case; None means all.
            mission: name of the mission of the collection.
        """
        found = self.tracked_of(collection, product_type, baseline, mission=mission)
        if not found and baseline is not None:
            spelled = baseline.upper() if mission == earthcare.MISSION.name else baseline
            return [Key(mission, collection, product_type, spelled)]
        return found

    @classmethod
    def of(cls, where: AppDirs, emit: Emit) -> Registry:
        """The registry of one user.

        Args:
            where: the folders of this user.
            emit: takes the events of what cannot be read, and of long waits.
        """

        def warn(message: str) -> None:
            from maap_tui.engine.events import Warned

            emit(Warned(message))

        return cls(
            where.registry_dir,
            StatsCache(where.state_dir / "cache"),
            Deletions(where.state_dir),
            SearchedDays(where.state_dir),
            on_wait=warn,
            emit=emit,
        )

    def add(self, tracked: Iterable[TrackedFile]) -> Added:
        """Register files as discovered, each in its baseline; otherwise as `BaselineRegistry.add`."""
        groups: dict[Key, list[TrackedFile]] = {}
        for file in tracked:
            groups.setdefault(file.key, []).append(file)
        new, refused = 0, []
        for key, group in groups.items():
            added = self.baseline(key).add(group)
            new += added.new
            refused += added.refused
        return Added(new, refused)

    @contextlib.contextmanager
    def skip_unreadable(self) -> Iterator[None]:
        """Continue with the next of several baselines if one cannot be read.

        Raises:
            StorageError: nothing can be read now, as too many files are open.
        """
        try:
            yield
        except UnreadableError as error:
            self._hide(error.path, error.reason)

    def _hide(self, folder: Path, reason: str) -> None:
        from maap_tui.engine.events import RegistryDamaged

        damage = RegistryDamaged(folder, 0, reason)
        if self._hidden.get(folder) != damage:
            self._hidden[folder] = damage
            self.emit(damage)

    @property
    def hidden(self) -> list[RegistryDamaged]:
        """The folders above baselines that the last call of `tracked` could not list."""
        hidden = dict(self._hidden)  # another thread may list the baselines meanwhile
        return [hidden[folder] for folder in sorted(hidden)]

    @property
    def slots_folder(self) -> Path:
        """Where the transfers that may run at once are counted, for all hosts that share the registry."""
        return self.root / LOCKS / "transfers"

    @property
    def rates_folder(self) -> Path:
        """Where the processes share a rate, for all hosts that share the registry."""
        return self.root / LOCKS / "rates"

    def sync_lock(self, key: Key, purpose: str, part: str = "") -> contextlib.AbstractContextManager[None]:
        """Hold the one sync a baseline may have at a time, on any host that shares the registry.

        Tried once: who wants to wait tries again. It does not lock the registry's lines.

        Args:
            key: the baseline.
            purpose: the command, for the message of who finds it locked.
            part: the shard, where several syncs share the baseline and each has a lock of its own.

        Raises:
            LockedError: another sync of the baseline goes on; the message names it.
            StorageError: the registry cannot be written.
        """
        what = f"The sync of {key.collection} {key.product_type} {key.baseline}"
        what += f", part {part}" if part else ""
        return locked(*self._sync_locks(key, part), 0, purpose, what)

    def _sync_locks(self, key: Key, part: str = "") -> tuple[Path, Path]:
        folder = self.root / TREES["dwl"] / key.mission / key.collection / key.product_type
        kind = f"sync-{part.replace('/', 'of')}" if part else "sync"
        return lock_file(self.root, kind, key), folder / f".{kind}-{key.baseline}.lock"

    def drop_earlier_locks(self, key: Key) -> int:
        """Delete the lock files that earlier versions left among the data; returns how many there were.

        Raises:
            LockedError: a writer or a sync is at work.
            StorageError: one cannot be deleted.
        """
        count = 0
        tracker = self.baseline(key)
        for _, earlier in (tracker.lock_files, self._sync_locks(key)):
            if not os.path.lexists(earlier):
                continue
            is_writers = earlier == tracker.lock_files[1]
            with tracker.locked("doctor", 0) if is_writers else self.sync_lock(key, "doctor"):
                # A holder that comes later sees that the file it opened is gone, and begins again.
                for path in (earlier, Path(f"{earlier}.holder")):
                    try:
                        path.unlink(missing_ok=True)
                    except OSError as error:
                        raise files.storage_error(path, error) from error
                count += 1
        return count

    def tracked_of(
        self,
        collection: str | None = None,
        product_type: str | None = None,
        baseline: str | None = None,
        *,
        mission: str | None = None,
    ) -> list[Key]:
        """The baselines in `tracked` that have these names; None is any, a baseline may be in any case."""
        return [
            key
            for key in self.tracked()
            if mission in (None, key.mission)
            and collection in (None, key.collection)
            and product_type in (None, key.product_type)
            and (baseline is None or baseline.lower() == key.baseline.lower())
        ]

    def tracked(self) -> list[Key]:
        """List the baselines that have a folder in any of the three trees, sorted.

        Folders in the trees that cannot be listed are stepped over, and reported.

        Raises:
            RegistryError: the registry folder is there and cannot be read.
        """
        keys: set[Key] = set()
        seen: set[Path] = set()
        for tree in TREES.values():
            level: list[tuple[str, ...]] = [()]
            for depth in range(4):
                below: list[tuple[str, ...]] = []
                for names in level:
                    folder = self.root.joinpath(tree, *names)
                    try:
                        below += [(*names, name) for name in folder_names(folder)]
                    except RegistryError as error:
                        if depth == 0 or files.is_starved(error):
                            raise
                        seen.add(folder)
                        self._hide(folder, error.message.removeprefix(f"Cannot use {folder}: "))
                level = below
            keys.update(Key(*names) for names in level)
        for folder in set(dict(self._hidden)) - seen:
            self._hidden.pop(folder, None)
        return sorted(keys)
