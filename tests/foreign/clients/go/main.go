// A small client on Go's net/http: it asks for the targets of its standard input, one a line, and writes
// a line of JSON for each, the status and the body.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		request, err := http.NewRequest("GET", os.Getenv("BASE")+lines.Text(), nil)
		if err != nil {
			panic(err)
		}
		request.Header.Set("X-Aws-Parameters-Secrets-Token", os.Getenv("TOKEN"))
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			panic(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			panic(err)
		}
		response.Body.Close()
		line, _ := json.Marshal([]any{response.StatusCode, string(body)})
		fmt.Println(string(line))
	}
}
