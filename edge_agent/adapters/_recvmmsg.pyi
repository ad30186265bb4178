from typing import Self

class Receiver:
    def __new__(cls) -> Self: ...
    def receive(
        self, fd: int, /
    ) -> tuple[int, bytes, bytes, bytes, bytes, bytes, int, int] | None: ...
