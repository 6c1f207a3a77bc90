"""The shapes of what comes in and goes out, one file an errand; bodies refuse fields they do not know."""
