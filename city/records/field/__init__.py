"""What a tablet is shown: the day, the work, what contradicted the desk."""
