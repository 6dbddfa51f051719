"""Networks, architecture only: tensors in, tensors out. An open set: one file each."""

from vaescape.components import import_members

import_members(__name__, __path__)
