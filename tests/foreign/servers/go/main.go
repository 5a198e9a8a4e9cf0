// A small server on Go's net/http: it answers as the extension does, from the answers in the file of its argument.
package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
)

func main() {
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	answers := map[string]string{}
	if err := json.Unmarshal(text, &answers); err != nil {
		panic(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	serve := func(writer http.ResponseWriter, request *http.Request) {
		body, isKnown := answers[request.RequestURI]
		if !isKnown {
			http.Error(writer, "an unexpected error occurred while executing request", http.StatusBadRequest)
			return
		}
		writer.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprint(writer, body)
	}
	panic(http.Serve(listener, http.HandlerFunc(serve)))
}
