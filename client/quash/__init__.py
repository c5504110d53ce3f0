"""The read side of Quash: is this token still good?"""
