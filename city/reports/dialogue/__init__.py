"""Talking with the reporter: questions and answers, ratings, reopening, reply templates."""
