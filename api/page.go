package api

import (
	"iter"
	"slices"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/headrace/headrace/internal/openai"
)

// bounds are those of a listing's limit.
type bounds struct{ most, otherwise int }

// Bounds of listings, as OpenAI has them.
var (
	filesPage   = bounds{most: 10_000, otherwise: 10_000}
	batchesPage = bounds{most: 100, otherwise: 20}
)

// page is what a client asks of a listing.
type page struct {
	limit     int
	after     string // the id that the page follows, "" for the first one
	ascending bool   // oldest first
}

// pageOf reads the query of a listing whose ids start with prefix.
func pageOf(c *gin.Context, prefix string, b bounds) (page, error) {
	return pageOfIDs(c, b, func(id string) bool { return openai.ValidID(prefix, id) })
}

// pageOfIDs reads the query of a listing of valid ids.
func pageOfIDs(c *gin.Context, b bounds, valid func(id string) bool) (page, error) {
	p := page{limit: b.otherwise, after: c.Query("after")}
	if s, asked := c.GetQuery("limit"); asked {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > b.most {
			return p, openai.InvalidRequest("limit", openai.CodeInvalidValue,
				"Invalid value for 'limit': expected an integer from 1 to %d, but got '%s'.", b.most, s)
		}
		p.limit = n
	}
	if p.after != "" && !valid(p.after) {
		return p, openai.InvalidRequest("after", openai.CodeInvalidValue,
			"Invalid value for 'after': '%s' is not the id of an element of this list.", p.after)
	}
	if order, asked := c.GetQuery("order"); asked {
		if err := oneOf("order", order, []string{"asc", "desc"}); err != nil {
			return p, err
		}
		p.ascending = order == "asc"
	}
	return p, nil
}

// list makes a page of ids, which come newest first: their order is that of
// their bytes. get looks one up and says whether it belongs to the list.
func list[T any](
	p page, ids iter.Seq2[string, error], get func(id string) (T, bool, error), id func(T) string,
) (openai.List[T], error) {
	var data []T
	none := openai.List[T]{}
	if p.ascending {
		ids = reversed(ids)
	}
	for key, err := range ids {
		if err != nil {
			return none, err
		}
		if p.after != "" && (key <= p.after) != p.ascending || key == p.after {
			continue
		}
		element, belongs, err := get(key)
		switch {
		case err != nil:
			return none, err
		case belongs && len(data) == p.limit:
			return openai.NewList(data, true, id), nil
		case belongs:
			data = append(data, element)
		}
	}
	return openai.NewList(data, false, id), nil
}

// reversed yields ids from the last to the first.
func reversed(ids iter.Seq2[string, error]) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var all []string
		for id, err := range ids {
			if err != nil {
				yield("", err)
				return
			}
			all = append(all, id)
		}
		for _, id := range slices.Backward(all) {
			if !yield(id, nil) {
				return
			}
		}
	}
}
