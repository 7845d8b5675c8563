// go run call.go METHOD URL [BODY] --key PEM --keyid NAME [--challenge-url URL]: one signed request, standard library only.
package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

var client = &http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error {
	return http.ErrUseLastResponse // a proof is for one address
}}

func fail(format string, values ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", values...)
	os.Exit(1)
}

func check(err error) {
	if err != nil {
		fail("%v", err)
	}
}

// Leaves letters, digits and -._~
func escape(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

// The target in the one spelling that both sides sign: names sorted, all but unreserved characters escaped.
func canonical(text string) *url.URL {
	target, err := url.Parse(text)
	check(err)
	target.Host = strings.TrimSuffix(strings.ToLower(target.Host), map[string]string{"https": ":443", "http": ":80"}[target.Scheme])
	if target.Path == "" {
		target.Path = "/"
	}
	fields := [][2]string{}
	for _, field := range strings.Split(target.RawQuery, "&") {
		name, value, _ := strings.Cut(field, "=")
		name, err := url.QueryUnescape(name)
		check(err)
		value, err = url.QueryUnescape(value)
		check(err)
		if field != "" {
			fields = append(fields, [2]string{escape(name), escape(value)})
		}
	}
	slices.SortStableFunc(fields, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	spelled := []string{}
	for _, field := range fields {
		spelled = append(spelled, field[0]+"="+field[1])
	}
	target.RawQuery, target.Fragment = strings.Join(spelled, "&"), ""
	return target
}

var param = regexp.MustCompile(`([\w-]+)=(?:"([ !#-~]*)"|([\w.~+/-]+))`)

// The parameters of WWW-Authenticate: PCH …; REST APIs rename that field of a function's answer.
func challengeIn(answer *http.Response) map[string]string {
	for _, name := range []string{"WWW-Authenticate", "x-amzn-Remapped-WWW-Authenticate"} {
		scheme, rest, _ := strings.Cut(answer.Header.Get(name), " ")
		found := map[string]string{}
		for _, m := range param.FindAllStringSubmatch(rest, -1) {
			found[strings.ToLower(m[1])] = m[2] + m[3]
		}
		if strings.EqualFold(scheme, "pch") && found["nonce"] != "" {
			return found
		}
	}
	return nil
}

func main() {
	given, options := []string{}, map[string]string{}
	for rest := os.Args[1:]; len(rest) > 0; rest = rest[1:] {
		if name, is := strings.CutPrefix(rest[0], "--"); is && len(rest) > 1 {
			options[name], rest = rest[1], rest[1:]
		} else {
			given = append(given, rest[0])
		}
	}
	if len(given) < 2 || options["key"] == "" || options["keyid"] == "" {
		fail("usage: call METHOD URL [BODY] --key PEM --keyid NAME [--challenge-url URL]")
	}
	method, target, content := strings.ToUpper(given[0]), canonical(given[1]), strings.Join(given[2:], " ")
	file, err := os.ReadFile(options["key"])
	check(err)
	block, _ := pem.Decode(file)
	if block == nil {
		fail("%s is no PEM file", options["key"])
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	check(err)
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		fail("%s holds no Ed25519 key", options["key"])
	}

	send := func(headers map[string]string) *http.Response {
		request, err := http.NewRequest(method, target.String(), strings.NewReader(content))
		check(err)
		if content != "" {
			request.Header.Set("Content-Type", "application/json")
		}
		for name, value := range headers {
			request.Header.Set(name, value)
		}
		answer, err := client.Do(request)
		check(err)
		return answer
	}

	// The header fields of a request that answers a challenge (RFC 9421).
	signed := func(challenge map[string]string) map[string]string {
		lines := []string{`"@method": ` + method, `"@authority": ` + target.Host,
			`"@path": ` + target.EscapedPath(), `"@query": ?` + target.RawQuery}
		headers := map[string]string{}
		if content != "" {
			lines = append(lines, `"content-type": application/json`)
		}
		asked := slices.Contains(strings.Fields(challenge["components"]), "content-digest")
		if content != "" || asked || slices.Contains([]string{"POST", "PUT", "PATCH"}, method) {
			digest := sha256.Sum256([]byte(content))
			headers["Content-Digest"] = "sha-256=:" + base64.StdEncoding.EncodeToString(digest[:]) + ":"
			lines = append(lines, `"content-digest": `+headers["Content-Digest"])
		}
		covered := []string{}
		for _, line := range lines {
			covered = append(covered, line[:strings.Index(line, ": ")])
		}
		created, life := time.Now().Unix(), int64(60)
		if age, err := strconv.ParseInt(challenge["max-age"], 10, 64); err == nil {
			life = min(life, age)
		}
		params := fmt.Sprintf(`(%s);created=%d;expires=%d;nonce="%s";keyid="%s";alg="ed25519";tag="pch-lite"`,
			strings.Join(covered, " "), created, created+life, challenge["nonce"], options["keyid"])
		base := strings.Join(append(lines, `"@signature-params": `+params), "\n")
		headers["Signature-Input"] = "pch=" + params
		headers["Signature"] = "pch=:" + base64.StdEncoding.EncodeToString(ed25519.Sign(key, []byte(base))) + ":"
		return headers
	}

	// A challenge from where they can always be had.
	fetched := func() map[string]string {
		if options["challenge-url"] != "" {
			answer, err := client.Get(options["challenge-url"])
			check(err)
			if challenge := challengeIn(answer); challenge != nil {
				return challenge
			}
		}
		fail("no challenge: give --challenge-url, the address of Signet's /pch/challenge")
		return nil
	}

	headers := map[string]string{}
	if options["challenge-url"] != "" {
		headers = signed(fetched())
	}
	answer := send(headers)
	again := challengeIn(answer)
	if options["challenge-url"] == "" && (answer.StatusCode == 401 || answer.StatusCode == 403) {
		if again == nil {
			again = fetched()
		}
		answer = send(signed(again))
	} else if strings.HasPrefix(again["error"], "nonce_") { // too old, or spent: once more with a fresh one
		answer = send(signed(again))
	}
	body, err := io.ReadAll(answer.Body)
	check(err)
	shown := strings.Map(func(char rune) rune {
		if unicode.IsPrint(char) || char == '\n' || char == '\t' {
			return char
		}
		return '?'
	}, string(body))
	fmt.Println(answer.StatusCode, shown)
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		reason := challengeIn(answer)["error"]
		if reason == "" {
			reason = fmt.Sprintf("status %d", answer.StatusCode)
		}
		fail("refused: %s", reason)
	}
}
