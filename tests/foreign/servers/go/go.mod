module foreign/server

go 1.21
