"""How passwords are kept: Argon2, with memory that a web process of a small server can spare."""

import threading
from typing import Any

from django.contrib.auth.hashers import Argon2PasswordHasher

# However many try at once, the memory of one is taken.
_one_at_a_time = threading.Lock()


class Argon2(Argon2PasswordHasher):
    """46 MiB and two passes: above OWASP's least (46 MiB, one pass). Django's own 100 MiB would double the process."""

    time_cost = 2
    memory_cost = 47104
    parallelism = 1

    def encode(self, password: str, salt: Any) -> str:
        with _one_at_a_time:
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        with _one_at_a_time:
            return super().verify(password, encoded)
