"""How passwords are kept: Argon2, with memory that a web process of a small server can spare."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2(Argon2PasswordHasher):
    """46 MiB and two passes: above OWASP's least (46 MiB, one pass). Django's own 100 MiB would double the process."""

    time_cost = 2
    memory_cost = 47104
    parallelism = 1
