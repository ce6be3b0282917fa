"""The way of a sentence from an unread article to an annotation: chosen, handed to people, taken back, checked."""
