"""The families of functions that scripts see, one file each, with their Lua parts beside them."""
