"""Ways to fake a reward, as programs that an agent could run through its tools, and how it is told whether one worked."""
