"""The composition root: chooses every concrete class and wires them; the programs that commands run."""
