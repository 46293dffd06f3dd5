"""What both endpoints of Sourcegraph have in common: how they say no, how an answer ends, what it cost, whose tool call a piece is."""
