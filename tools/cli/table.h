// SPDX-License-Identifier: GPL-2.0-or-later
// Aligned columns.
#pragma once

#include <string>
#include <vector>

#include "tools/cli/output.h"

namespace synward::cli {

class Table {
  public:
    enum class Align { left, right };
    struct Column {
        std::string head;
        Align align = Align::left;
    };
    struct Cell {
        std::string text;
        Colour colour = Colour::none;
        Cell(std::string t, Colour c = Colour::none)
            : text(std::move(t)), colour(c) {}                                // NOLINT: meant to convert
        Cell(const char* t, Colour c = Colour::none) : text(t), colour(c) {}  // NOLINT
    };

    explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
    // As many cells as there are columns.
    void add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
    [[nodiscard]] bool empty() const { return rows_.empty(); }
    // Lines with `indent` blanks before them and none behind. No head line where all heads are empty.
    [[nodiscard]] std::string text(unsigned indent = 0, bool colours = colours_wanted()) const;

  private:
    std::vector<Column> columns_;
    std::vector<std::vector<Cell>> rows_;
};

}  // namespace synward::cli
