"""Notifications (rules §8): what is told, to whom, once; and the outbox that takes it there.

`telling` finds what is new after a run and once a day and makes the messages; `post` sends them, in workers and
commands only; `channels` is what people set. Nothing is imported here: pages use `channels` and reach no network.
"""
