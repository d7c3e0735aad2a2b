"""The ldap databases: templates whose values are escaped (``templates``, ``escape``), servers and connections
(``directory``, ``connection``, the one door to ldap3), and fields out of attributes (``fields``).
"""
