// Reads with arrow-go.
package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
)

func main() {
	say(map[string]any{"version": version()})
	files, err := os.ReadDir(os.Args[1])
	if err != nil {
		panic(err)
	}
	for _, file := range files {
		values, err := read(filepath.Join(os.Args[1], file.Name()))
		if err != nil {
			say(map[string]any{"file": file.Name(), "error": err.Error()})
		} else {
			say(map[string]any{"file": file.Name(), "values": values})
		}
	}
}

func say(line map[string]any) {
	text, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
}

func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if strings.HasPrefix(module.Path, "github.com/apache/arrow-go/") {
			return strings.TrimPrefix(module.Version, "v")
		}
	}
	return "unknown"
}

func read(path string) (values []any, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	payload, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if filepath.Ext(path) == ".arrow" {
		reader, err := ipc.NewFileReader(bytes.NewReader(payload))
		if err != nil {
			return nil, err
		}
		defer reader.Close()
		for i := range reader.NumRecords() {
			batch, err := reader.RecordBatch(i)
			if err != nil {
				return nil, err
			}
			values = append(values, canonical(batch.Column(1))...)
		}
		return values, nil
	}
	reader, err := ipc.NewReader(bytes.NewReader(payload))
	if err != nil {
		return nil, err
	}
	defer reader.Release()
	for reader.Next() {
		values = append(values, canonical(reader.RecordBatch().Column(1))...)
	}
	return values, reader.Err()
}

// The values of an array as contract/README.md writes them.
func canonical(column arrow.Array) []any {
	show := func(i int) any { return value(column, i) }
	// Children once, not for each row.
	switch column := column.(type) {
	case *array.Dictionary:
		words := canonical(column.Dictionary())
		show = func(i int) any { return words[column.GetValueIndex(i)] }
	case *array.Map:
		keys, items := canonical(column.Keys()), canonical(column.Items())
		show = func(i int) any {
			start, end := column.ValueOffsets(i)
			pairs := []any{}
			for j := start; j < end; j++ {
				pairs = append(pairs, []any{keys[j], items[j]})
			}
			return pairs
		}
	case array.ListLike:
		values := canonical(column.ListValues())
		show = func(i int) any {
			start, end := column.ValueOffsets(i)
			return values[start:end]
		}
	case *array.Struct:
		names := column.DataType().(*arrow.StructType).Fields()
		columns := make([][]any, len(names))
		for j := range columns {
			columns[j] = canonical(column.Field(j))
		}
		show = func(i int) any {
			fields := map[string]any{}
			for j, field := range names {
				fields[field.Name] = columns[j][i]
			}
			return fields
		}
	}
	values := make([]any, column.Len())
	for i := range values {
		if !column.IsNull(i) {
			values[i] = show(i)
		}
	}
	return values
}

func value(column arrow.Array, i int) any {
	switch column := column.(type) {
	case *array.Boolean:
		return column.Value(i)
	case *array.Int8:
		return fmt.Sprint(column.Value(i))
	case *array.Int16:
		return fmt.Sprint(column.Value(i))
	case *array.Int32:
		return fmt.Sprint(column.Value(i))
	case *array.Int64:
		return fmt.Sprint(column.Value(i))
	case *array.Uint8:
		return fmt.Sprint(column.Value(i))
	case *array.Uint16:
		return fmt.Sprint(column.Value(i))
	case *array.Uint32:
		return fmt.Sprint(column.Value(i))
	case *array.Uint64:
		return fmt.Sprint(column.Value(i))
	case *array.Float16:
		return hexOfFloat(float64(column.Value(i).Float32()))
	case *array.Float32:
		return hexOfFloat(float64(column.Value(i)))
	case *array.Float64:
		return hexOfFloat(column.Value(i))
	case *array.String:
		return column.Value(i)
	case *array.LargeString:
		return column.Value(i)
	case *array.StringView:
		return column.Value(i)
	case *array.Binary:
		return hex.EncodeToString(column.Value(i))
	case *array.LargeBinary:
		return hex.EncodeToString(column.Value(i))
	case *array.BinaryView:
		return hex.EncodeToString(column.Value(i))
	case *array.FixedSizeBinary:
		return hex.EncodeToString(column.Value(i))
	case *array.Date32:
		return fmt.Sprint(int64(column.Value(i)) * 86_400)
	case *array.Date64:
		return scaled(big.NewInt(int64(column.Value(i))), 3)
	case *array.Time32:
		return seconds(column.DataType(), int64(column.Value(i)))
	case *array.Time64:
		return seconds(column.DataType(), int64(column.Value(i)))
	case *array.Timestamp:
		return seconds(column.DataType(), int64(column.Value(i)))
	case *array.Duration:
		return seconds(column.DataType(), int64(column.Value(i)))
	case *array.Decimal32:
		return decimal(column.DataType(), big.NewInt(int64(column.Value(i))))
	case *array.Decimal64:
		return decimal(column.DataType(), big.NewInt(int64(column.Value(i))))
	case *array.Decimal128:
		return decimal(column.DataType(), column.Value(i).BigInt())
	case *array.Decimal256:
		return decimal(column.DataType(), column.Value(i).BigInt())
	default:
		panic(fmt.Sprintf("no canonical text for %s", column.DataType()))
	}
}

func seconds(kind arrow.DataType, number int64) string {
	return scaled(big.NewInt(number), 3*int(kind.(arrow.TemporalWithUnit).TimeUnit()))
}

func decimal(kind arrow.DataType, number *big.Int) string {
	return scaled(number, int(kind.(arrow.DecimalType).GetScale()))
}

// 1050 with 3 digits after the point is "1.05".
func scaled(number *big.Int, digits int) string {
	sign := ""
	if number.Sign() < 0 {
		sign = "-"
	}
	text := fmt.Sprintf("%0*s", digits+1, new(big.Int).Abs(number).String())
	whole, part := text[:len(text)-digits], strings.TrimRight(text[len(text)-digits:], "0")
	if part != "" {
		part = "." + part
	}
	return sign + whole + part
}

func hexOfFloat(number float64) string {
	if math.IsNaN(number) {
		return "nan"
	}
	return fmt.Sprintf("%016x", math.Float64bits(number))
}
