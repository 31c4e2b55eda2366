"""What several modes are made of: lists, lines, boxes, and the memory of what was chosen in them."""
