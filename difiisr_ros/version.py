"""The package's version, for whatever writes it down."""

__version__ = "0.1.0"

#: Where bug reports go; as in package.xml.
REPORT_TO = "difiisr-ros@example.org"
