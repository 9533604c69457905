package crash

import (
	"testing"

	"github.com/anishathalye/porcupine"
)

// The model itself: an unknown write may be seen or not, an acknowledged one must be, and nothing comes back from the dead.
func TestModelJudges(t *testing.T) {
	in := func(k kind, value string) input { return input{kind: k, key: "k", value: value} }
	saw := func(value string, version int64) output { return output{before: register{value, version}} }
	acknowledged := porcupine.Operation{Input: in(put, "a"), Call: 1, Output: output{}, Return: 2}
	unknown := porcupine.Operation{Input: in(put, "b"), Call: 3, Output: output{unknown: true}, Return: 10}
	read := func(at int64, out output) porcupine.Operation {
		return porcupine.Operation{Input: in(get, ""), Call: at, Output: out, Return: at + 1}
	}
	for name, c := range map[string]struct {
		history []porcupine.Operation
		fits    bool
	}{
		"the unknown write happened":            {[]porcupine.Operation{acknowledged, unknown, read(20, saw("b", 2))}, true},
		"the unknown write did not happen":      {[]porcupine.Operation{acknowledged, unknown, read(20, saw("a", 1))}, true},
		"an acknowledged write is lost":         {[]porcupine.Operation{acknowledged, unknown, read(20, saw("", 0))}, false},
		"the unknown write comes after the end": {[]porcupine.Operation{acknowledged, unknown, read(20, saw("a", 1)), read(30, saw("b", 2))}, false},
		"the unknown write is seen, then not":   {[]porcupine.Operation{acknowledged, unknown, read(4, saw("b", 2)), read(30, saw("a", 1))}, false},
	} {
		if porcupine.CheckOperations(model, c.history) != c.fits {
			t.Errorf("%s: judged %v", name, !c.fits)
		}
	}
}
