// Asks a model server over REST: go run serving/clients/client.go bike_shop "where is my parcel?"
// REST_ADDRESS is http://localhost:8501 by default; LABEL is a version label, such as stable.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"
)

type instance struct {
	Text string `json:"text"`
}

type prediction struct {
	Label         string    `json:"label"`
	Probabilities []float64 `json:"probabilities"`
}

type answer struct {
	Predictions []prediction `json:"predictions"`
	Error       string       `json:"error"`
}

func predict(address, model, label string, texts []string) ([]prediction, error) {
	instances := make([]instance, len(texts))
	for i, text := range texts {
		instances[i] = instance{text}
	}
	body, err := json.Marshal(map[string][]instance{"instances": instances})
	if err != nil {
		return nil, err
	}
	path := address + "/v1/models/" + url.PathEscape(model)
	if label != "" {
		path += "/labels/" + url.PathEscape(label)
	}
	client := http.Client{Timeout: 10 * time.Second}
	reply, err := client.Post(path+":predict", "application/json", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer reply.Body.Close()
	var result answer
	if err := json.NewDecoder(reply.Body).Decode(&result); err != nil {
		return nil, fmt.Errorf("HTTP status %d: %w", reply.StatusCode, err)
	}
	if reply.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("HTTP status %d: %s", reply.StatusCode, result.Error)
	}
	return result.Predictions, nil
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: client MODEL TEXT...")
		os.Exit(2)
	}
	address := os.Getenv("REST_ADDRESS")
	if address == "" {
		address = "http://localhost:8501"
	}
	predictions, err := predict(address, os.Args[1], os.Getenv("LABEL"), os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, prediction := range predictions {
		fmt.Println(prediction.Label)
	}
}
