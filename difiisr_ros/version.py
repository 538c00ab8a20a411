"""The package's version, for whatever writes it down."""

__version__ = "0.1.0"

#: Where bug reports go: the bug tracker in package.xml, once it has one.
REPORT_TO = "the maintainer that the package.xml of your copy names"
