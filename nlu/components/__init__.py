"""Components of the Rasa pipeline in ``config.yml``: what Rasa needs to read Vietnamese as people type it.

Only Rasa imports them (Rasa 3.6 in its own environment, see ``make rasa``). What they share with the embedded engine
is imported from ``nlu`` and needs numpy, PyYAML and underthesea alone.
"""
