"""The network half of providers: directories, accounts and their keys. Run by workers and commands only."""

from .accounts import client, heard_good, heard_limit, heard_problem, reader, register
from .directories import look_again, look_at_clock, probe, seed
from .wishes import carry_out, carry_out_all, register_anew, roll_key

__all__ = [
    "carry_out",
    "carry_out_all",
    "client",
    "heard_good",
    "heard_limit",
    "heard_problem",
    "look_again",
    "look_at_clock",
    "probe",
    "reader",
    "register",
    "register_anew",
    "roll_key",
    "seed",
]
