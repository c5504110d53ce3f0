"""The write side of Quash and its HTTP face."""
