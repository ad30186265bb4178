"""Keys and users in memory: for trials and tests."""

import threading
from dataclasses import replace

from fairway.errors import Conflict
from fleet_cloud.access.keys import ApiKey
from fleet_cloud.access.users import User


class MemoryKeys:
    """Keeps keys for as long as it lives."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: dict[str, ApiKey] = {}

    def key(self, key: str) -> ApiKey | None:
        with self._lock:
            return self._keys.get(key)

    def used(self, key: str, now_ns: int) -> None:
        with self._lock:
            known = self._keys.get(key)
            if known is not None and (known.used_time_ns or 0) < now_ns:
                self._keys[key] = replace(known, used_time_ns=now_ns)

    def add(self, key: ApiKey) -> None:
        with self._lock:
            if key.id in self._keys:
                raise Conflict(f"there is a key {key.id} already")
            self._keys[key.id] = key

    def listed(self) -> list[ApiKey]:
        with self._lock:
            return sorted(self._keys.values(), key=lambda one: (-one.created_time_ns, one.id))

    def revoke(self, key: str, now_ns: int) -> bool:
        with self._lock:
            known = self._keys.get(key)
            if known is None or known.revoked_time_ns is not None:
                return False
            self._keys[key] = replace(known, revoked_time_ns=now_ns)
            return True


class MemoryUsers:
    """Keeps users for as long as it lives."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users: dict[str, User] = {}

    def user(self, name: str) -> User | None:
        with self._lock:
            return self._users.get(name)

    def add(self, user: User) -> None:
        with self._lock:
            if user.name in self._users:
                raise Conflict(f"there is a user {user.name} already: remove that one first")
            self._users[user.name] = user

    def users(self) -> list[User]:
        with self._lock:
            return [self._users[name] for name in sorted(self._users)]

    def remove(self, name: str) -> bool:
        with self._lock:
            return self._users.pop(name, None) is not None
