"""What is wrong and what to change, by a problem's code, with the facts filled in, in the language that is active.
Escaping is done where it is shown; facts of strangers were cut and cleaned before. A sentence is translated whole."""

from django.utils.translation import gettext as _

from . import advice_names, advice_sites
from .facts import Facts, again, sentences, words
from .readers import Reader

_WRITERS = {**advice_names.WRITERS, **advice_sites.WRITERS}


def known(code: str) -> bool:
    """Whether there are sentences for this code."""
    return code in _WRITERS


def advice(code: str, data: Facts, reader: Reader = Reader.ANYBODY) -> str:
    """One to three sentences for the person who reads it; a code that is not known here gives the general one.

    That one claims nothing of what was or was not proved: most codes without words of their own come after that.
    """
    write = _WRITERS.get(code)
    if write is None:
        return sentences(_("%(name)s could not be secured this time.") % words(data), again())
    return write(data, {**words(data), "reader": reader})
