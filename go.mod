module github.com/twentygate/twentygate

go 1.26.0
