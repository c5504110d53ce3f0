"""`make bench`: every benchmark, one after another."""

from . import introspect

introspect.main()
