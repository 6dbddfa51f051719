"""``vaescape play``: a training to watch and to change while it goes on."""
