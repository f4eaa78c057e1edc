"""A daemon of the next release, as far as others can tell: Python runs this before anything of meshnet."""

from meshnet.model import session

session.PROTOCOL = (session.PROTOCOL[0], session.PROTOCOL[1] + 1)
