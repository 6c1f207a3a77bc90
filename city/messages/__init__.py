"""What goes out: messages to reporters, each with its fate."""
