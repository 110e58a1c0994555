"""Drive a simulated machine with the requests of a recorded one, and lay its decisions beside the kernel's."""
