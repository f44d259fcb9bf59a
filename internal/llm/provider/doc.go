// Package provider calls OpenAI-compatible providers through
// sashabaranov/go-openai, which brings the base URL, the keys, the shapes of
// Azure and Anthropic, and the error types.
//
// That client decodes and encodes what it sends and receives, and loses fields
// on the way. So each call runs through an exchange: an HTTP client of our own
// below go-openai that puts the user's bytes in place of the encoded request
// and keeps the provider's bytes before they are decoded, or hands them on
// where they come as a stream. Read provider.go, then exchange.go, stream.go and
// models.go.
package provider
