"""eig-tune from Python: what a notebook or a script uses, and what the command line calls.

Every name is also an attribute of :mod:`eig_tune`, which loads the module behind it on first use.
"""
