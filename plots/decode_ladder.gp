# The ladder of decode, percent of the DRAM rate.

TITLE = "The ladder of decode: percent of what memory can deliver"
LIMIT = "the DRAM read rate of its threads"
load "plots/ladder.gp"
