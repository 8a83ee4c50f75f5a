module keydir.example/client

go 1.19
