# The ladder of prefill, percent of the FMA peak.

TITLE = "The ladder of prefill: percent of what the processor can multiply and add"
LIMIT = "the FMA peak of its threads"
load "plots/ladder.gp"
