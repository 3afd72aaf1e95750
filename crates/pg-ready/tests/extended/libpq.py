"""Prints for each connection string of standard input libpq's PQping, and 1 if PQconnectdb succeeds."""

import ctypes
import glob
import importlib.util
import os
import sys

package = os.path.dirname(importlib.util.find_spec("psycopg_binary").origin)
libpq = ctypes.CDLL(glob.glob(f"{package}.libs/libpq-*")[0])
libpq.PQconnectdb.restype = ctypes.c_void_p
for line in sys.stdin:
    conninfo = line.rstrip("\n").encode()
    connection = ctypes.c_void_p(libpq.PQconnectdb(conninfo))
    is_connected = int(libpq.PQstatus(connection) == 0)
    libpq.PQfinish(connection)
    print(libpq.PQping(conninfo), is_connected, flush=True)
