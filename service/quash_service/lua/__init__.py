"""The Lua scripts, one per verb, as package data; ``quash_service.store.scripts`` loads them."""
