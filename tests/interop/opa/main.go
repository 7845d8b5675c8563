// Asks OPA itself: one JSON object a line, {"modules": {name: text}, "data": {…}, "query": "data.…", "input": {…}},
// and one answer a line: {"value": …}, {"undefined": true} or {"error": "…"}. "list" prints the names of OPA's functions.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
)

type question struct {
	Modules map[string]string
	Data    map[string]any
	Query   string
	Input   map[string]any
}

func answer(asked question) map[string]any {
	options := []func(*rego.Rego){
		rego.Query(asked.Query),
		rego.Store(inmem.NewFromObject(asked.Data)),
		rego.Input(asked.Input),
	}
	for name, text := range asked.Modules {
		options = append(options, rego.Module(name, text))
	}
	results, err := rego.New(options...).Eval(context.Background())
	if err != nil {
		return map[string]any{"error": err.Error()}
	}
	if len(results) == 0 {
		return map[string]any{"undefined": true}
	}
	return map[string]any{"value": results[0].Expressions[0].Value}
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "list" {
		for _, builtin := range ast.DefaultBuiltins {
			fmt.Printf("%s/%d\n", builtin.Name, len(builtin.Decl.FuncArgs().Args))
		}
		return
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<22)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var asked question
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			panic(err)
		}
		if err := answers.Encode(answer(asked)); err != nil {
			panic(err)
		}
	}
}
